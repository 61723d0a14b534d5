"""CSV files from which objects are created: upload, preview, confirm, progress, left-out rows.

What a file's rows stand for is a kind, which the package of those objects declares (`kinds`).
"""
