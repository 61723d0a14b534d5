from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self):
        from accounts import events
        from accounts.views import sign_in

        events.declare_all()
        sign_in.connect()
