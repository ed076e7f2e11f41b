"""functions-framework's default: Flask in gunicorn's threads, in the server's own process."""

import functions_framework


@functions_framework.http
def echo(request):
    return request.get_json()
