"""A runtime that answers each event in the odd way that the event names, and then rightly with what it was told."""

import http.client
import json
import os
import socket

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
ROOT = "/2018-06-01/runtime/"


def ask(method, path, body=None, **fields):
    connection = http.client.HTTPConnection(API, timeout=10)
    connection.request(method, ROOT + path, body, {name.replace("_", "-"): value for name, value in fields.items()})
    response = connection.getresponse()
    return response.status, response.read().decode(), response.headers


def send(text, *, end=False):
    """Bytes as they are, on a connection of their own; what came back."""
    host, port = API.split(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(text.encode("latin-1"))
        if end:
            connection.shutdown(socket.SHUT_WR)
        return connection.recv(4096).decode()


def streamed(post, trailers):
    head = "Transfer-Encoding: chunked\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n\r\n"
    return send(f"{post}{head}1\r\na\r\n0\r\n{trailers}\r\n\r\n")


ODD = {
    "mode": lambda url, _: ask("POST", url, "1", Lambda_Runtime_Function_Response_Mode="nope")[:2],
    "trailer": lambda _, post: streamed(
        post, "Lambda-Runtime-Function-Error-Type: Late\r\nLambda-Runtime-Function-Error-Body: a"
    ),
    "half": lambda _, post: send(f"{post}Content-Length: 10\r\n\r\nabc", end=True),
    "length": lambda _, post: send(f"{post}Content-Length: -3\r\n\r\n"),
    "chunk": lambda _, post: send(f"{post}Transfer-Encoding: chunked\r\n\r\n-5\r\nabc\r\n"),
    "bytes": lambda *_: send("\0\xff\r\n\r\n"),
    "init": lambda *_: ask("POST", "init/error", "{}")[:2],
    "path": lambda url, _: ask("POST", url.replace("/response", "/nonsense"), "1")[:2],
    "method": lambda url, _: ask("DELETE", url)[:2],
}

while True:
    _, body, headers = ask("GET", "invocation/next")
    event = json.loads(body)
    url = f"invocation/{headers['Lambda-Runtime-Aws-Request-Id']}/response"
    told = ODD[event](url, f"POST {ROOT}{url} HTTP/1.1\r\n")
    if event not in ("mode", "trailer"):  # Those are the answer already.
        ask("POST", url, json.dumps(told))
    else:
        print(told, flush=True)
