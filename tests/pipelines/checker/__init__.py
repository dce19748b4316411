"""The check of .pipelines/ and variable_template.yml: Microsoft's schema, and what no schema can see.

`check(tree)` reads the files (tree.py, nodes.py), looks at each expression where it stands (expressions.py,
compile_time.py), expands every pipeline with each choice of its parameters as Azure DevOps would (expand.py), and asks
each rule about what comes out. Knows Azure Pipelines as documented; asks nobody, runs nothing.
"""
