"""Functions in executables that speak the Runtime API: AWS's own client, a loop in Node, a loop in a shell."""

import sys

from fnframe import App

app = App("runtimes")
RIC = [sys.executable, "-m", "awslambdaric"]

for name, command in {
    "python": [*RIC, "handlers.does"],
    "node": ["node", "runtime.mjs", "does"],
    "shell": ["sh", "runtime.sh"],
}.items():
    app.lambda_function(name, runtime="provided", command=command, timeout=30, memory=256, retries=0)
    app.lambda_function(f"{name}_brief", runtime="provided", command=command, timeout=2, memory=256, retries=0)

app.lambda_function("about", runtime="provided", command=[*RIC, "handlers.about"], timeout=5, variables={"RED": "1"})
app.lambda_function("node_about", runtime="provided", command=["node", "runtime.mjs", "about"], timeout=5, memory=256)
app.lambda_function("ric", runtime="provided", command=[*RIC, "handlers.echo"])
app.lambda_function("logs", runtime="provided", command=[*RIC, "handlers.logs"])
app.lambda_function("tools", runtime="provided", command=[*RIC, "tools.batch"], memory=512)
app.lambda_function("no_module", runtime="provided", command=[*RIC, "nowhere.handler"])
app.lambda_function("node_no_handler", runtime="provided", command=["node", "runtime.mjs", "nothing"], memory=256)
app.lambda_function("ends", runtime="provided", command=["sh", "-c", "exit 7"])
app.lambda_function("not_there", runtime="provided", command=["./nowhere"])
app.lambda_function("no_bootstrap", runtime="provided.al2023")
app.lambda_function("no_client", runtime="nodejs22.x", handler="index.handler")
app.lambda_function("strays", runtime="provided", command=["sh", "runtime.sh", "strays"], timeout=2)
app.lambda_function("dies_idle", runtime="provided", command=["sh", "runtime.sh", "dies_idle"])
app.lambda_function("streams", runtime="provided", command=["node", "runtime.mjs", "streams"], memory=256)
app.lambda_function("stubborn", runtime="provided", command=["sh", "runtime.sh", "stubborn"])
app.lambda_function("odd", runtime="provided", command=[sys.executable, "odd.py"], timeout=10)
