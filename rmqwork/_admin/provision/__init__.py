"""The topology of an app, as code: what is missing on a broker, files for others, migrations."""
