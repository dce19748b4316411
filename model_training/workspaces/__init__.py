"""Where everything lives: the interface (`base.py`) and one package for each kind of workspace."""
