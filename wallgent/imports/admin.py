from django.contrib import admin
from django.db.models import Count

from wallgent.admin import SupportAdmin, status
from wallgent.imports.models import ImportExport, ImportFile, ImportRow


@admin.register(ImportFile)
class ImportFileAdmin(SupportAdmin):
    list_display = [
        *("id", "uploaded_at", "organization", "environment", "kind", status(), "file_name"),
    ]
    list_select_related = ["organization"]
    list_filter = ["environment", "status"]
    id_fields = {"imp": ["pk"], "org": ["organization"]}
    search_help_text = "The id of a file, of its organization or of what was made from it."
    fields = [
        *("id", "organization", "environment", "kind", status(), "file_name", "rows"),
        *("uploaded_at", "confirmed_at", "confirmed_by", "finished_at"),
    ]

    def get_search_results(self, request, queryset, search_term):
        row = ImportRow.objects.filter(object_id=search_term.strip()).first()
        if row:
            return queryset.filter(pk=row.file_id), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display
    def rows(self, file):
        """How many rows are in each status. What they say is private to the organization."""
        counts = file.rows.order_by("status").values_list("status").annotate(Count("pk"))
        return ", ".join(
            f"{count} {ImportRow.Status(value).label.lower()}" for value, count in counts
        )


@admin.register(ImportExport)
class ImportExportAdmin(SupportAdmin):
    """CSV files to download, without their content."""

    list_display = [
        *("id", "requested_at", "file", "variant", status(), "rows_done", "row_count"),
    ]
    list_filter = ["status"]
    id_fields = {"imx": ["pk"], "imp": ["file"], "org": ["file__organization"]}
    search_help_text = "The id of a download, of its file or of its organization."
    fields = [
        *("id", "file", "variant", "shows_secrets", status(), "rows_done", "row_count"),
        *("requested_at", "read_at", "finished_at"),
    ]
