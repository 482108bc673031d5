"""``python -m cds_service`` is the command ``atrophy-cds``."""

from cds_service.cli.commands import main

main()
