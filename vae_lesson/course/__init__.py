"""What surrounds the lessons: the check of an installation, the page without Python, pictures, editions."""
