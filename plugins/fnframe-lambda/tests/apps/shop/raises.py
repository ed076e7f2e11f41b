print("about to raise")
raise RuntimeError("not today")
