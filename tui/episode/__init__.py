"""Parts of the episode screen: answers as values, and the texts made of them."""
