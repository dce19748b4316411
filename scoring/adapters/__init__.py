"""Other products' messages around the same scoring: requests to images, detections to answers.

Pure functions, one file a format. They know nothing about HTTP, models on disk or time.
"""
