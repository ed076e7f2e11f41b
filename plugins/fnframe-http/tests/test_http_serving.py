"""A real server on loopback, real functions in processes of their own."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

pytestmark = pytest.mark.anyio

Client = httpx2.AsyncClient


async def test_data_goes_in_and_comes_out(web: Client) -> None:
    answer = await web.post("/echo", json={"a": [1, "é"]})
    assert (answer.status_code, answer.json()) == (200, {"a": [1, "é"]})
    assert answer.headers["content-type"] == "application/json"
    assert (await web.put("/echo", content=b"7")).json() == 7


async def test_no_body_is_none_to_a_function_of_plain_data(web: Client) -> None:
    answer = await web.post("/echo")
    assert (answer.status_code, answer.text) == (200, "null")
    assert (await web.post("/request")).json()["body"] == ""


async def test_every_part_of_a_request_arrives(web: Client) -> None:
    headers = [("X-Tag", "a"), ("x-tag", "b"), ("cookie", 'first=1; second="two"; first=3')]
    answer = await web.request(
        "PATCH", "/request/Jos%C3%A9%20B/42?a=1&b=x%20y&a=2&empty=", headers=headers, content=b"\x00"
    )
    told = answer.json()
    assert told["method"] == "PATCH"
    assert told["path"] == "/request/José B/42"
    assert told["path_params"] == {"name": "José B", "number": 42}
    assert told["query"] == [["a", "1"], ["a", "2"], ["b", "x y"], ["empty", ""]]
    assert [pair for pair in told["headers"] if pair[0] == "x-tag"] == [["x-tag", "a"], ["x-tag", "b"]]
    assert told["cookies"] == {"first": "1", "second": "two"}
    assert told["body"] == "AA=="
    assert told["client"] == "127.0.0.1"


async def test_parameters_have_their_kinds(web: Client) -> None:
    assert (await web.get("/uuid/12345678-1234-5678-1234-567812345678")).json() is True
    assert (await web.get("/uuid/42")).status_code == 404
    assert (await web.get("/number/042")).json() == 42
    assert (await web.get("/number/-1")).status_code == 404
    assert (await web.get("/files/a/b/c")).json() == "a/b/c"


async def test_a_number_that_python_refuses_is_the_clients_error(web: Client) -> None:
    """Python converts 4,300 digits at the most; the path expression takes any number."""
    answer = await web.get("/number/" + "9" * 5000)
    assert answer.status_code == 400


async def test_a_filter_sees_the_request(web: Client, kit: Any, tmp_path: Any) -> None:
    file = tmp_path / "pushed"

    async def push(number: int, path: str = "/hooks/1", event: str = "push", ref: str = "main") -> None:
        data = {"file": str(file), "number": number, "ref": ref}
        answer = await web.post(path, headers=[("X-Event", event), ("X-Event", "other")], json=data)
        assert answer.status_code == 202
        assert answer.json()["duplicate"] is False, "who sends what does not fit does not hear of it"

    await push(1)
    await kit.until(file.exists)
    await push(2, path="/hooks/10")
    await push(3, path="/hooks/1?dry=")
    await push(4, event="pull")
    await push(5, ref="side")
    await push(6, event="pull", ref="force")
    await kit.until(lambda: file.read_text() == "1\n6\n")


async def test_the_most_specific_route_wins_whatever_the_order(web: Client) -> None:
    assert (await web.get("/files/special")).json() == "special"


async def test_paths_are_not_normalised(web: Client) -> None:
    for path in ("/echo/", "//echo", "/ECHO", "/number/1%0A", "/number/1%2F2"):
        url = httpx2.URL(str(web.base_url), raw_path=path.encode())
        assert (await web.get(url)).status_code == 404, path


@pytest.mark.parametrize(
    ("kind", "content_type", "body"),
    [
        ("text", "application/json", b'"text"'),
        ("bytes", "application/octet-stream", b"\x00\xff"),
        ("none", "application/json", b"null"),
        ("struct", "application/json", b'{"id":1,"items":["a"]}'),
        ("list", "application/json", b"[1,2.5,true]"),
    ],
)
async def test_values_are_json_and_bytes_are_bytes(web: Client, kind: str, content_type: str, body: bytes) -> None:
    answer = await web.get(f"/value/{kind}")
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, content_type, body)


async def test_a_response_says_what_a_value_cannot(web: Client) -> None:
    answer = await web.get("/response/text")
    assert (answer.status_code, answer.text) == (418, "short and stout")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    answer = await web.get("/response/cookies")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert "content-type" not in answer.headers
    answer = await web.get("/response/json")
    assert (answer.status_code, answer.json()) == (201, {"id": 1, "items": []})
    assert answer.headers["location"] == "/orders/1"
    assert (await web.get("/response/html")).headers["content-type"] == "text/html"
    answer = await web.get("/response/empty")
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers


async def test_a_response_cannot_inject_headers(web: Client) -> None:
    answer = await web.get("/response/injected", params={"value": "b\r\nset-cookie: c=d"})
    assert answer.status_code == 500
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("kind", ["header", "status", "garbage", "type"])
async def test_what_a_function_forges_is_not_sent(web: Client, kind: str) -> None:
    answer = await web.get(f"/forged/{kind}")
    assert answer.status_code == 500
    assert answer.json()["errorMessage"] == "the function's response is not allowed in HTTP"
    assert not {"set-cookie", "x-a"} & set(answer.headers)


async def test_head_is_get_without_its_body(web: Client) -> None:
    answer = await web.head("/value/text")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "6")
    assert (await web.head("/echo")).status_code == 405


@pytest.mark.parametrize("path", ["/orders", "/typed", "/decoded"])
async def test_400_names_the_bad_field(web: Client, path: str) -> None:
    answer = await web.post(path, json={"id": 1, "items": ["a", 2]})
    problem = answer.json()
    assert answer.status_code == 400
    assert problem["path"] == "$.items[1]"
    assert "Expected `str`, got `int`" in problem["errorMessage"]
    assert problem["requestId"] == answer.headers["x-request-id"]
    answer = await web.post(path, content=b"{")
    assert (answer.status_code, answer.json()["errorType"]) == (400, "Runtime.UnmarshalError")


async def test_typed_bodies_are_decoded(web: Client) -> None:
    assert (await web.post("/typed", json={"id": 1, "items": ["a"]})).json() == ["a"]
    assert (await web.post("/decoded", json={"id": 1, "items": []})).json() == 1
    assert (await web.post("/model", json={"id": 5})).json() == {"id": 5}
    answer = await web.post("/model", json={"id": "x"})
    assert (answer.status_code, answer.json()["path"]) == (400, "$.id")


async def test_404_and_405(web: Client) -> None:
    answer = await web.get("/nothing")
    assert (answer.status_code, answer.json()["errorType"]) == (404, "NotFound")
    answer = await web.get("/echo")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, PUT")
    answer = await web.post("/value/text")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_429_tells_when_to_try_again(web: Client) -> None:
    answer = await web.get("/never")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert answer.json()["errorType"] == "TooManyRequestsException"


@pytest.mark.parametrize("path", ["/fails", "/exits"])
async def test_500_tells_nothing_of_the_function(web: Client, path: str) -> None:
    answer = await web.get(path)
    assert answer.status_code == 500
    assert answer.json() == {
        "errorType": "InternalServerError",
        "errorMessage": "the function failed; its log tells why, under this request id",
        "requestId": answer.headers["x-request-id"],
    }


async def test_500_tells_all_under_development(kit: Any) -> None:
    async with kit.serving(kit.WEB, debug=True) as client:
        problem = (await client.get("/fails")).json()
    assert (problem["errorType"], problem["errorMessage"]) == ("ValueError", "the password is 12345")
    assert "in fails" in "".join(problem["stackTrace"])


async def test_504_for_a_timeout_and_the_next_works(web: Client) -> None:
    answer = await web.get("/slow")
    assert answer.status_code == 504
    assert answer.json()["errorMessage"] == "Task timed out after 0.20 seconds"
    assert (await web.post("/echo", json=1)).json() == 1


async def test_413_over_the_limit(web: Client) -> None:
    answer = await web.post("/size", content=b"x" * (6 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["errorType"]) == (413, "RequestEntityTooLargeException")
    assert (await web.post("/size", content=b"x" * (6 * 1024 * 1024))).json() == 6 * 1024 * 1024


async def test_a_lower_limit_is_a_setting(kit: Any) -> None:
    async with kit.serving(kit.WEB, http__max_body=10) as client:
        assert (await client.post("/size", content=b"x" * 11)).status_code == 413
        assert (await client.post("/size", content=b"x" * 10)).json() == 10


async def test_headers_without_end_are_refused(web: Client) -> None:
    answer = await web.get("/value/text", headers={f"x-{n}": "y" * 1000 for n in range(70)})
    assert answer.status_code == 431


async def test_202_for_an_asynchronous_invocation(web: Client, kit: Any, tmp_path: Any) -> None:
    file = tmp_path / "seen"
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = await web.post("/later", json={"file": str(file)}, headers={"traceparent": trace})
    accepted = answer.json()
    assert answer.status_code == 202
    assert accepted == {"eventId": answer.headers["x-request-id"], "duplicate": False}
    await kit.until(lambda: file.exists() and file.read_text().endswith("\n"))
    assert file.read_text() == f"{accepted['eventId']} fnframe.http.request POST /later {trace}\n"


async def test_413_for_an_asynchronous_event_over_its_limit(web: Client) -> None:
    answer = await web.post("/later", json={"file": "x" * 2_000})
    assert (answer.status_code, answer.json()["errorType"]) == (413, "RequestEntityTooLargeException")


async def test_503_when_the_queue_is_full(kit: Any, tmp_path: Any) -> None:
    async with kit.serving(kit.WEB, queue_bound=1, max_environments=1, grace=0) as client:
        answers = [await client.post("/later", json={"file": str(tmp_path / "none" / "x")}) for _ in range(4)]
    full = [answer for answer in answers if answer.status_code == 503]
    assert full
    assert full[0].json()["errorType"] == "QueueFull"
    assert full[0].headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("trace", "kept"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", True),
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", False),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", False),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", False),
        ("00-zz-1-01", False),
    ],
)
async def test_a_malformed_trace_is_none(web: Client, trace: str, kept: bool) -> None:
    answer = await web.post("/event", json=1, headers={"traceparent": trace})
    assert answer.json()["trace"] == (trace if kept else None)


async def test_health(web: Client) -> None:
    answer = await web.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert (await web.head("/healthz")).status_code == 200


async def test_the_server_does_not_tell_what_it_is(web: Client) -> None:
    assert "server" not in (await web.get("/healthz")).headers
