"""Documents: what a search for them needs beside the vector engine: BM25 weights, filters, fusion, snippets."""
