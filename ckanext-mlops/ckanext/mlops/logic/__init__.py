"""The action API: everything that pages, CLI and scripts do goes through it."""
