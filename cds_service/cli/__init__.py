"""The command line: ``commands`` names what can be asked, each other module does one of them."""
