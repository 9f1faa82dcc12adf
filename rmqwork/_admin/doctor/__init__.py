"""What is wrong with a broker, as an app sees it: facts first, then checks over them."""
