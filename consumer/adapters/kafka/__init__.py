"""Kafka by aiokafka: ``source`` reads the topics, ``publisher`` writes the dead-letter topic."""
