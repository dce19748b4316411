"""Files that are copied into every bundle as they are. They run there, beside `code/scoring/`, without this package."""
