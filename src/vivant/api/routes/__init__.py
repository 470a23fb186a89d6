"""The addresses of the API. A route reads its request, calls one function and answers."""
