"""Whose functions run here, as the template of this environment was told."""

import os

from .. import variables
from ..names import Account

ACCOUNT = Account(os.environ.get("AWS_REGION", ""), os.environ.pop(variables.ACCOUNT, ""))
