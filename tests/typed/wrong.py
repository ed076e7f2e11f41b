"""What type checkers must refuse: each line that ends with a cross, and no other. Nothing here is run."""

from fnframe_http import Http, Request

from fnframe import App, Context

app = App("typed", limits=5)  # x


@app.function(Http("GET /"), timeout="long")  # x
def page(request: Request) -> str:
    return request.headers["a"]


@app.function(memory=128, colour="red")  # x
def painted() -> None: ...


@app.function(retries=2)
async def order(order: dict[str, str], context: Context) -> int:
    context.remaining("a")  # x
    return 1


@app.function  # x
def forgotten() -> None: ...


async def use() -> None:
    page(5)  # x
    page()  # x
    text: str = await order({}, 5)  # x
    print(text)
    Http(5)  # x
    async with app.run() as running:
        await running.invoke(5)  # x
        print((await running.invoke("page")).duration_ms)  # x
