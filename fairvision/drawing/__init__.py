"""Maps of evidence drawn over their images, and sheets of captioned images."""
