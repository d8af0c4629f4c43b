"""The app that gunicorn imports."""

from serving import create_app

application = create_app()
