from django.contrib import admin

from accounts.pay_ins.models import Mandate
from wallgent.admin import SupportAdmin, amount, search_links
from wallgent.money import Currency


@admin.register(Mandate)
class MandateAdmin(SupportAdmin):
    list_display = [
        *("id", "accepted_at", "organization", "environment", "purpose", "reference"),
        *(amount("amount", Currency.USD), "is_test", "version"),
    ]
    list_select_related = ["organization"]
    list_filter = ["environment", "purpose", "is_test"]
    id_fields = {"mnd": ["pk"], "org": ["organization"]}
    search_fields = ["reference__exact"]
    search_help_text = "The id of a mandate, of its organization, or of what it is for."
    fields = [
        *(
            "id",
            "organization",
            "environment",
            "purpose",
            "reference",
            amount("amount", Currency.USD),
        ),
        *("is_test", "version", "wording", "ip", "user_agent", "accepted_at", "see_also"),
    ]

    @admin.display
    def see_also(self, mandate):
        return search_links(mandate.reference, transfers="accounts.transfer")
