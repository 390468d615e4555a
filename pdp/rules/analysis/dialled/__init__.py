"""All texts that can be dialled in a tenant with a dialling plan, in classes that no rule tells apart."""
