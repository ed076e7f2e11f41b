"""A Starlette application behind Mangum, as it is deployed on Lambda."""

from mangum import Mangum
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


async def echo(request):
    return JSONResponse(
        {
            "method": request.method,
            "query": sorted(request.query_params.multi_items()),
            "path": request.path_params["name"],
            "cookies": request.cookies,
            "body": (await request.body()).decode("latin-1"),
            "header": request.headers.get("x-asked"),
        },
        headers={"x-answered": "yes"},
    )


async def binary(request):
    return Response(await request.body(), media_type="application/octet-stream")


async def cookies(request):
    response = PlainTextResponse("sweet ü", status_code=201)
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True)
    return response


async def nothing(request):
    return Response(status_code=204)


application = Starlette(
    routes=[
        Route("/web/echo/{name}", echo, methods=["GET", "POST", "PUT"]),
        Route("/web/binary", binary, methods=["POST"]),
        Route("/web/cookies", cookies),
        Route("/web/nothing", nothing, methods=["DELETE"]),
    ]
)
handler = Mangum(application, lifespan="off")
