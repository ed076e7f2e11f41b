from . import other


def handler(event, context):
    return other.NAME
