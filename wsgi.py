"""What gunicorn serves: ``gunicorn wsgi:application``."""

from tenantry import Platform

application = Platform.from_file("tenants.toml")
