import os

from hypothesis import HealthCheck, settings

# Apps that tests share lie in this repository: their ledgers would be files in it.
os.environ.setdefault("FNFRAME_BILLING_LEDGER", "memory:")

# An example's time is that of the machine: a fifth of a second may be lost to other programs.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
