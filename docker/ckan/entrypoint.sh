#!/bin/sh
# Writes ckan.ini from the environment, then becomes the command.
set -eu
python3 /srv/mlops/site/ini.py "$CKAN_INI"
exec "$@"
