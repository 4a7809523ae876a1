"""What every answer tells the browser: to trust nothing but ourselves, and to keep and pass on nothing."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
# Swagger UI sets styles from script-made markup.
DOCS_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")
DOCS_PATH = "/api/docs"
API_PATH = "/api/"

# Also on answers that never reach Django's own middleware. Copying to the clipboard is used, so it is not denied.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(
        f"{feature}=()"
        for feature in (
            "accelerometer",
            "autoplay",
            "camera",
            "display-capture",
            "encrypted-media",
            "geolocation",
            "gyroscope",
            "magnetometer",
            "microphone",
            "midi",
            "payment",
            "publickey-credentials-get",
            "screen-wake-lock",
            "usb",
            "xr-spatial-tracking",
        )
    ),
}


class ResponseHeadersMiddleware:
    """No inline script, no foreign origin, no frame around us; and no copy of an API's answer but the asker's own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        is_docs = request.path.startswith(DOCS_PATH)
        response.headers.setdefault("Content-Security-Policy", DOCS_POLICY if is_docs else POLICY)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.path.startswith(API_PATH):
            response.headers.setdefault("Cache-Control", "no-store")
        return response
