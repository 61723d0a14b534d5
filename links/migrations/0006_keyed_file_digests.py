from django.db import migrations

from wallgent import credentials


def key_digests(apps, schema_editor):
    """Turn plain hashes of files into the keyed digests that the same files have from now on."""
    batches = apps.get_model("links", "LinkBatch").objects
    for pk, digest in batches.values_list("pk", "digest").iterator():
        batches.filter(pk=pk).update(digest=credentials.digest(bytes(digest).hex()))


class Migration(migrations.Migration):
    dependencies = [("links", "0005_mandate_from_unknown_address")]

    operations = [migrations.RunPython(key_digests, migrations.RunPython.noop)]
