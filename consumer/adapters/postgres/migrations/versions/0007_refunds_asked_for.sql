-- What only a message of Lago's can help, which its API may be asked for; ``lacking_documents`` says the same.
drop index document_lacking;
create index document_lacking on document (id)
 where state in ('waiting', 'failed')
   and (code = 'tax_ambiguous' or cause like 'content:%' or cause like 'lago\_invoice:%' or cause like 'credit\_note:%'
        or cause like 'residual:%' or cause like 'split:%' or cause like 'policy:refunds@%');
