"""Secrets out, before anything is written: credentials that travel in well-known headers.

The run itself sees the true values; only what is written is covered. The name of the header stays,
so that a reader knows that there was one.
"""

from replaykit.interaction import Headers, Interaction

PLACEHOLDER = "[redacted]"

SECRET_HEADERS = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api-key",
        "x-auth-token",
        "x-csrf-token",
        "x-xsrf-token",
        "x-amz-security-token",
    }
)


def redacted(interaction: Interaction) -> Interaction:
    """Return the interaction with the values of secret headers covered; itself if there are none."""
    request, response = interaction.request, interaction.response
    if _has_secret(request.headers):
        interaction = interaction.replace(request=request.replace(headers=_covered(request.headers)))
    if response is not None and _has_secret(response.headers):
        interaction = interaction.replace(response=response.replace(headers=_covered(response.headers)))
    return interaction


def _has_secret(headers: Headers) -> bool:
    return any(name.lower() in SECRET_HEADERS for name, _ in headers)


def _covered(headers: Headers) -> Headers:
    return tuple((name, PLACEHOLDER if name.lower() in SECRET_HEADERS else value) for name, value in headers)
