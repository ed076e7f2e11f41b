"""Events of fnframe's triggers in the shapes in which AWS's services send them."""
