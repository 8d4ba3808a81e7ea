//! Studies, series and instances as DICOMweb asks for them (QIDO-RS).
