"""Django finds the models of the platform here; each package has its own."""

from wallgent.api.models import IdempotencyRecord
from wallgent.due_work.models import DueWork
from wallgent.events.models import Event, EventOrigin, EventPosition, OutboxEntry
from wallgent.imports.models import ImportExport, ImportExportPart, ImportFile, ImportRow
from wallgent.mail.models import Email
from wallgent.staff.models import StaffAction

__all__ = [
    "DueWork",
    "Email",
    "Event",
    "EventOrigin",
    "EventPosition",
    "IdempotencyRecord",
    "ImportExport",
    "ImportExportPart",
    "ImportFile",
    "ImportRow",
    "OutboxEntry",
    "StaffAction",
]
