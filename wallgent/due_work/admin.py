"""Due work in the admin: what waits, since when, and why."""

from django.contrib import admin

from wallgent.admin import SupportAdmin, link, service_action, support_actor
from wallgent.due_work import kinds, queue, worker
from wallgent.due_work.models import DueWork


class KindFilter(admin.SimpleListFilter):
    """The registered kinds, because reading all kinds from the table would take long."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, request, model_admin):
        return [(name, kinds.of(name).label) for name in kinds.names()]

    def queryset(self, request, queryset):
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(DueWork)
class DueWorkAdmin(SupportAdmin):
    """What waits for a time or a worker. Times are by the clock that the row follows."""

    list_display = [
        *("id", "kind", "work", "about", "organization", "environment", "due_at", "clock"),
        *("leased_until", "failures", "error"),
    ]
    list_select_related = ["organization"]
    list_filter = [KindFilter, "environment", ("error", admin.EmptyFieldListFilter)]
    id_fields = {"due": ["pk"], "org": ["organization"]}
    search_help_text = "The id of due work, of what it is about, or of an organization."
    fields = [
        *("id", "kind", "work", "about", "organization", "environment", "due_at", "clock"),
        *("created_at", "leased_until", "version", "failures", "error"),
    ]
    actions = ["run_now"]

    def _id_columns(self):
        return [*super()._id_columns(), "subject"]

    def actor_for(self, request, obj):
        return support_actor(request, obj.organization, obj.environment)

    @admin.display
    def work(self, row):
        kind = kinds.of(row.kind)
        return kind.label if kind else "not known to this version"

    @admin.display
    def about(self, row):
        kind, id = kinds.of(row.kind), worker.subject_id(row)
        return link(kind.subject._meta.label_lower, id) if kind else id

    @service_action("Run now")
    def run_now(self, row, *, actor):
        queue.run_now(row)
