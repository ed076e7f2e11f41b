// A runtime for functions in JavaScript: a loop over the Runtime API, with nothing but Node itself.
import http from "node:http";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
let count = 0;

function send(method, path, body, headers = {}, trailers) {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host, port, agent, method, path: `/2018-06-01/runtime/${path}`, headers },
      (response) => {
        const chunks = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
      },
    );
    request.on("error", reject);
    if (trailers) request.addTrailers(trailers);
    request.end(body);
  });
}

const handlers = {
  async does(event) {
    count += 1;
    const [what, ...rest] = Array.isArray(event) ? event : [event];
    if (what === "raise") throw new TypeError("no luck ü");
    if (what === "exit") process.exit(rest[0]);
    if (what === "kill") process.kill(process.pid, rest[0]);
    if (what === "sleep") await new Promise((resolve) => setTimeout(resolve, 60_000));
    if (what === "spin") for (;;);
    if (what === "allocate") return Buffer.alloc(400 << 20, 1).length;
    if (what === "count") return [count, process.env.AWS_LAMBDA_LOG_STREAM_NAME];
    if (what === "sized") return "x".repeat(rest[0]);
    console.log("got", JSON.stringify(event).length);
    return event;
  },
  async about(event, context) {
    return { headers: context, variables: process.env, cwd: process.cwd() };
  },
  async streams(event) {
    return event;
  },
};

const handler = handlers[process.argv[2]];
if (!handler) {
  const error = { errorType: "Runtime.HandlerNotFound", errorMessage: "it is undefined", trace: [] };
  await send("POST", "init/error", JSON.stringify(error), { "Lambda-Runtime-Function-Error-Type": error.errorType });
  process.exit(1);
}
for (;;) {
  const next = await send("GET", "invocation/next");
  const path = `invocation/${next.headers["lambda-runtime-aws-request-id"]}`;
  try {
    const result = JSON.stringify(await handler(JSON.parse(next.body), next.headers));
    const headers = { "Content-Type": "application/json" };
    if (process.argv[2] === "streams") {
      headers["Transfer-Encoding"] = "chunked";
      headers["Lambda-Runtime-Function-Response-Mode"] = "streaming";
      const trailers = { "Lambda-Runtime-Function-Error-Type": "Function.Late", "Lambda-Runtime-Function-Error-Body": btoa(result) };
      headers["Trailer"] = Object.keys(trailers).join(", ");
      await send("POST", `${path}/response`, result, headers, result.includes("late") ? trailers : undefined);
    } else {
      await send("POST", `${path}/response`, result, headers);
    }
  } catch (error) {
    const told = { errorType: error.name, errorMessage: error.message, trace: error.stack.split("\n") };
    await send("POST", `${path}/error`, JSON.stringify(told));
  }
}
