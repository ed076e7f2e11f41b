"""An engine, chosen by the URL `sample:`. It begins as fnframe's own engine in memory: replace it part by part."""
