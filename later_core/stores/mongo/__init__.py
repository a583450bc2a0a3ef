"""MongoDB through motor: the only folder that imports motor, pymongo or bson."""
