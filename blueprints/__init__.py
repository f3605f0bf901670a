"""The shared blueprint set: a workspace for the people of one company. Each package shows one pattern plainly."""
