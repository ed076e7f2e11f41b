def echo(event: object, context: object) -> object:
    return event
