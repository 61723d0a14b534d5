"""The page that sets up an authenticator app."""

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.views import ActivateTOTPView
from allauth.mfa.utils import is_mfa_enabled
from django.shortcuts import redirect

from accounts.organizations.services import one_time_codes
from accounts.organizations.sign_in.forms import forget_pending_secret


class ActivateAppView(ActivateTOTPView):
    """Sets up an app once, even after a double click, and uses up its first code."""

    def dispatch(self, request, *args, **kwargs):
        if request.method == "POST" and request.user.is_authenticated:
            one_time_codes.lock_user(request.user)
            if is_mfa_enabled(request.user, [Authenticator.Type.TOTP]):
                return redirect("mfa_view_recovery_codes")  # where the first click led
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form):
        response = super().form_valid(form)
        app = self.request.user.authenticator_set.get(type=Authenticator.Type.TOTP)
        one_time_codes.use(app, form.cleaned_data["code"])
        forget_pending_secret(self.request.session)
        return response


activate_app = ActivateAppView.as_view()
