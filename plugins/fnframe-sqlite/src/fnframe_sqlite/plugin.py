"""What fnframe's plugin manager finds."""
