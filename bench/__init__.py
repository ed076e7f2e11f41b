import os

# What is measured is fnframe itself: `billing` says what its ledger costs.
os.environ.setdefault("FNFRAME_BILLING_ENABLED", "false")
