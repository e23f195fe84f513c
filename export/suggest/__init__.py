"""Phrases for a service, proposed by a language model behind an OpenAI-compatible endpoint. Nothing is published by it.

    settings = Settings.of()                               # MALGIL_LLM_URL, MALGIL_LLM_MODEL, MALGIL_LLM_KEY
    for proposal in suggest(service, catalog, settings, embed):
        print(proposal.text, proposal.verdict, proposal.own.cosine, proposal.other)

Errors: SuggestError, with a code.
"""
