"""One path to drag along: what is told of it, the widget, and the page that needs no kernel."""
