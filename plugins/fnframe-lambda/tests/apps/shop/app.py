"""Handlers as they are written for Lambda, none of which knows of fnframe."""

from fnframe import App

app = App("shop")

app.lambda_function("echo", handler="handlers.echo")
app.lambda_function("about", handler="handlers.about", memory=256, timeout=5, variables={"COLOUR": "blue"})
app.lambda_function("does", handler="handlers.does", timeout=1, retries=0)
app.lambda_function("nested", handler="pkg.mod.handler")
app.lambda_function("no_module", handler="nowhere.handler")
app.lambda_function("no_handler", handler="handlers.nothing")
app.lambda_function("no_dot", handler="handler")
app.lambda_function("builtin", handler="sys.exit")
app.lambda_function("broken", handler="broken.handler")
app.lambda_function("raises_at_import", handler="raises.handler")
app.lambda_function("second_try", handler="second_try.handler")
app.lambda_function("slow_start", handler="slow_start.handler", timeout=0.3)
app.lambda_function("logs", handler="handlers.logs")
app.lambda_function("logs_json", handler="handlers.logs", log_format="JSON", log_level="INFO")

for name in ("observed", "batch", "once", "http", "parsed"):
    app.lambda_function(name, handler=f"tools.{name}", memory=512)

app.lambda_function("prints", handler="handlers.prints")
app.lambda_function("closed", handler="handlers.echo", reserved_concurrency=0)
app.lambda_function("one", handler="handlers.does", reserved_concurrency=1, timeout=5)
app.lambda_function("retried", handler="handlers.does", retries=1, retry_delays=(), on_failure="function:failed")
app.lambda_function("patient", handler="handlers.does")
app.lambda_function("failed", handler="handlers.echo")


@app.function()
def native(event):
    return {"native": event}
