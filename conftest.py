import os

# Apps that tests share lie in this repository: their ledgers would be files in it.
os.environ.setdefault("FNFRAME_BILLING_LEDGER", "memory:")
